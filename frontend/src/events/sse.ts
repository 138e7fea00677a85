// Reads a stream of server-sent events. The browser's own EventSource hides comments and status
// codes and hands out only the types that it was told of; a page follows all of them.

export interface ServerEvent {
  id: string | null;
  type: string;
  data: string;
}

/** Feed it text as it arrives; it calls back for each complete event. */
export class EventParser {
  readonly #out: (event: ServerEvent) => void;
  #rest = "";
  #id: string | null = null;
  #type = "";
  #data: string[] = [];

  constructor(out: (event: ServerEvent) => void) {
    this.#out = out;
  }

  push(text: string): void {
    // A lone CR at the end may be half of a CR LF.
    const whole = this.#rest + text;
    const until = whole.endsWith("\r") ? whole.length - 1 : whole.length;
    const lines = whole.slice(0, until).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + whole.slice(until);
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line === "") {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#type = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.#id = value;
  }

  #dispatch(): void {
    const type = this.#type || "message";
    const data = this.#data;
    this.#type = "";
    this.#data = [];
    if (data.length > 0) this.#out({ id: this.#id, type, data: data.join("\n") });
  }
}
