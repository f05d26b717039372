import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { defineConfig } from "vite";

// What the build follows from. tests/service/test_built_page.py knows by it, without Node, whether the build that is
// committed is that of the source beside it.
const SOURCE = ["src", "public", "index.html", "package-lock.json", "vite.config.mjs"];

// Types leave nothing in a build.
const TYPES = "src/schema.ts";

function files(place) {
  if (place.includes(".")) return [place];
  return readdirSync(place, { withFileTypes: true }).flatMap((item) =>
    item.isDirectory() ? files(`${place}/${item.name}`) : [`${place}/${item.name}`],
  );
}

const source = {
  name: "source",
  generateBundle() {
    const sum = createHash("sha256");
    const found = SOURCE.flatMap(files).filter((file) => file !== TYPES);
    for (const file of found.sort()) sum.update(`${file}\0`).update(readFileSync(file)).update("\0");
    this.emitFile({ type: "asset", fileName: "source.sha256", source: `${sum.digest("hex")}\n` });
  },
};

// The build is committed, so that a user needs no Node: names follow from the content, nothing from time or place.
export default defineConfig({
  base: "./",
  plugins: [source],
  build: {
    outDir: "../src/camseek/service/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the page's security policy allows no data: but pictures
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
