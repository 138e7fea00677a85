// The few pieces that the screens are made of, with the classes of the house's stylesheet.

import { text } from "./words.ts";

type Child = Node | string | null | false | undefined;

export type Attributes = Record<string, string | boolean | null | ((event: Event) => void)>;

/** An element; a function among the attributes listens to the event of that name. */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== false && child !== undefined));
  return made;
}

/** A drawing that the page brought along. */
export function icon(name: string): Node | null {
  return document.querySelector(`[data-icon="${name}"] svg`)?.cloneNode(true) ?? null;
}

export interface ButtonOptions {
  icon?: string;
  kind?: "primary" | "danger" | "plain";
  extra?: string;
  label?: string;
  key?: string;
  pressed?: boolean;
}

export function button(words: string, act: () => unknown, options: ButtonOptions = {}): HTMLButtonElement {
  const { kind, extra = "" } = options;
  return el(
    "button",
    {
      type: "button",
      class: `button${kind ? ` button-${kind}` : ""} ${extra}`.trim(),
      click: () => void act(),
      "aria-label": options.label ?? null,
      "aria-pressed": options.pressed === undefined ? null : String(options.pressed),
      "data-key": options.key ?? null,
    },
    options.icon ? icon(options.icon) : null,
    words,
  );
}

export function link(words: string, hash: string, classes: string, iconName?: string): HTMLAnchorElement {
  return el("a", { href: hash, class: classes, "data-key": hash }, iconName ? icon(iconName) : null, words);
}

/** Whether a roll is taken, told by a drawing and a word. */
export function rollBadge(taken: boolean): HTMLElement {
  return el(
    "span",
    { class: `badge ${taken ? "tone-ok" : "tone-info"}` },
    icon(taken ? "check" : "clock"),
    text(taken ? "taken" : "open"),
  );
}

/** Puts `nodes` in the place of what is in `root`; who had the focus has it again. */
export function redraw(root: HTMLElement, ...nodes: Child[]): void {
  const key = (document.activeElement as HTMLElement | null)?.dataset["key"];
  root.replaceChildren(...nodes.filter((node) => node !== null && node !== false && node !== undefined));
  if (key) root.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

export function field(label: string, input: HTMLElement): HTMLElement {
  return el("label", { class: "field" }, el("span", { class: "label" }, label), input);
}

export function input(attributes: Attributes): HTMLInputElement {
  return el("input", { class: "input", ...attributes });
}

/** A quiet message that stays until it is put away. */
export function notice(
  tone: "info" | "warning" | "danger",
  title: string | null,
  body: string,
  ...actions: HTMLElement[]
): HTMLElement {
  return el(
    "div",
    { class: `notice tone-${tone}` },
    icon(tone === "info" ? "info" : "warning"),
    el(
      "div",
      { class: "notice-body" },
      title && el("p", { class: "notice-title" }, title),
      el("p", {}, body),
      actions.length > 0 && el("div", { class: "row" }, ...actions),
    ),
  );
}

/** A modal dialog; `build` gets the function that closes it. Gone from the page once closed. */
export function openDialog(title: string, build: (close: () => void) => Child[]): void {
  const heading = el("h2", { id: "attend-dialog" }, title);
  const dialog = el("dialog", { "aria-labelledby": "attend-dialog", class: "attend-dialog" });
  dialog.append(
    el("div", { class: "dialog-body" }, heading, ...build(() => dialog.close())),
  );
  dialog.addEventListener("close", () => dialog.remove());
  // A tap beside it closes it.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  (document.querySelector(".attend") ?? document.body).append(dialog);
  dialog.showModal();
}

/** A form of one dialog: `send` runs once, on its button or on Enter. */
export function dialogForm(
  send: string,
  cancel: string,
  close: () => void,
  act: () => unknown,
  ...fields: HTMLElement[]
): HTMLFormElement {
  return el(
    "form",
    {
      class: "stack",
      submit: (event) => {
        event.preventDefault();
        close();
        void act();
      },
    },
    ...fields,
    el(
      "div",
      { class: "row" },
      el("button", { class: "button button-primary" }, send),
      button(cancel, close, { kind: "plain" }),
    ),
  );
}
