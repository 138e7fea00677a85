// Builds the islands into the web room's static folder: hashed names, so that browsers may keep
// them for ever; manifest.json, which maps the names that templates use to those; and offline.json,
// the files that the attendance app has to have at hand when there is no network.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { copyFile, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../src/classweave/web/static/dist");
const manifest = {};

// WatermelonDB takes RxJS in as CommonJS, whole. Its own list of what it needs exists as an ES
// module too, of which a bundler keeps only that.
const rxjs = {
  name: "rxjs",
  setup({ onResolve }) {
    onResolve({ filter: /__wmelonRxShim$/ }, () => ({ path: join(here, "src/attend/rx.ts") }));
  },
};

async function bundle(entries, options) {
  const result = await build({
    absWorkingDir: here,
    entryPoints: entries,
    outdir: out,
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    bundle: true,
    format: "esm",
    target: ["es2022"],
    minify: true,
    sourcemap: "linked",
    legalComments: "linked",
    metafile: true,
    logLevel: "warning",
    plugins: [rxjs],
    ...options,
  });
  const { outputs } = result.metafile;
  for (const [path, made] of Object.entries(outputs)) {
    if (made.entryPoint && entries.includes(made.entryPoint)) {
      manifest[basename(made.entryPoint).replace(/\.ts$/, ".js")] = basename(path);
    }
  }
  return outputs;
}

/** The files that the outputs of `entries` load, those themselves included. */
function needed(outputs, entries) {
  const found = new Set();
  const add = (path) => {
    if (found.has(path)) return;
    found.add(path);
    for (const { path: next, kind } of outputs[path].imports) {
      if (kind === "import-statement") add(next);
    }
  };
  for (const [path, { entryPoint }] of Object.entries(outputs)) {
    if (entries.includes(entryPoint)) add(path);
  }
  return [...found].map((path) => basename(path));
}

async function copyIcons() {
  for (const name of await readdir(join(here, "icons"))) {
    const from = join(here, "icons", name);
    const digest = createHash("sha256").update(await readFile(from)).digest("hex").slice(0, 8);
    manifest[name] = name.replace(".", `-${digest}.`);
    await copyFile(from, join(out, manifest[name]));
  }
}

const write = (name, value) => writeFile(join(out, name), JSON.stringify(value, null, 2) + "\n");

await rm(out, { recursive: true, force: true });
// The worklet runs in the audio thread, apart from the page; its address is built into the island.
await bundle(["src/worklet/capture.ts"], {});
const outputs = await bundle(["src/shell.ts"], {
  splitting: true,
  define: { CAPTURE_WORKLET: JSON.stringify(manifest["capture.js"]) },
});
await bundle(["src/attend/attend.css"], {});
// Served under an address of its own, /attend/sw.js, which decides what it is in charge of.
await bundle(["src/attend/worker.ts"], { sourcemap: false });
await copyIcons();
await write("manifest.json", manifest);
await write("offline.json", [
  ...needed(outputs, ["src/shell.ts", "src/islands/attend.ts"]),
  manifest["attend.css"],
  manifest["icon-192.png"],
]);
