// Builds the islands into the web room's static folder: hashed names, so that browsers may keep
// them for ever, and manifest.json, which maps the names that templates use to those.
import { build } from "esbuild";
import { rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../src/classweave/web/static/dist");
const manifest = {};

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
    ...options,
  });
  for (const [path, made] of Object.entries(result.metafile.outputs)) {
    if (made.entryPoint && entries.includes(made.entryPoint)) {
      manifest[basename(made.entryPoint).replace(/\.ts$/, ".js")] = basename(path);
    }
  }
}

await rm(out, { recursive: true, force: true });
// The worklet runs in the audio thread, apart from the page; its address is built into the island.
await bundle(["src/worklet/capture.ts"], {});
await bundle(["src/shell.ts"], {
  splitting: true,
  define: { CAPTURE_WORKLET: JSON.stringify(manifest["capture.js"]) },
});
await writeFile(join(out, "manifest.json"), JSON.stringify(manifest, null, 2) + "\n");
