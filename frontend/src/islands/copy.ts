// A button that copies its data-text; it says data-done for a moment.

export default function start(root: HTMLElement): void {
  const words = root.textContent;
  root.addEventListener("click", () => {
    void navigator.clipboard.writeText(root.dataset["text"] ?? "").then(() => {
      root.textContent = root.dataset["done"] ?? "✓";
      setTimeout(() => (root.textContent = words), 2000);
    });
  });
}
