/** The part of an island that the page drew, or a new one at its end. */
export function part<Tag extends keyof HTMLElementTagNameMap>(
  root: HTMLElement,
  name: string,
  tag: Tag,
  attributes: Record<string, string> = {},
): HTMLElementTagNameMap[Tag] {
  const drawn = root.querySelector<HTMLElementTagNameMap[Tag]>(`[data-part="${name}"]`);
  if (drawn) return drawn;
  const made = document.createElement(tag);
  made.dataset["part"] = name;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  root.append(made);
  return made;
}
