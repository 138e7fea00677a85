// Words on the page belong to the page: blocks <script type="application/json" id="strings…">
// override the English that an island brings along.

type Words = Record<string, string>;

let words: Words | undefined;

function fromPage(): Words {
  if (words === undefined) {
    const blocks = document.querySelectorAll('script[type="application/json"][id^="strings"]');
    words = Object.assign({}, ...[...blocks].map(({ textContent }) => JSON.parse(textContent))) as Words;
  }
  return words;
}

/** `strings(island, defaults)` looks up "island.key"; `{name}` in the text is filled from `values`. */
export function strings<Key extends string>(island: string, defaults: Record<Key, string>) {
  return (key: Key, values: Record<string, string | number> = {}): string => {
    const text = fromPage()[`${island}.${key}`] ?? defaults[key];
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  };
}
