// A form that came filled in, by a QR code, and is sent as soon as it is there.

export default function start(root: HTMLElement): void {
  if (root instanceof HTMLFormElement) root.requestSubmit();
}
