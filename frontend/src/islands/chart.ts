// Small plots of what the page also says as a table. The table stays, for those who read.

import { BarChart, CustomChart, LineChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { init, use, type ECharts } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { option, type Chart, type Palette } from "../charts.ts";

use([BarChart, CustomChart, LineChart, GridComponent, TooltipComponent, SVGRenderer]);

export default function start(root: HTMLElement): void {
  const chart = JSON.parse(root.dataset["chart"] ?? "null") as Chart | null;
  if (chart === null) throw new Error("the chart island needs data-chart");
  hide(root.querySelector("table"));
  const place = document.createElement("div");
  place.setAttribute("aria-hidden", "true"); // the table speaks for it
  place.style.height = `${height(chart)}px`;
  root.prepend(place);

  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const drawn: ECharts = init(place, null, { renderer: "svg" });
  const draw = (): void => {
    drawn.setOption({ ...option(chart, palette(root)), animation: !still.matches }, true);
  };
  draw();

  const themes = new MutationObserver(draw);
  themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  dark.addEventListener("change", draw);
  const sizes = new ResizeObserver(() => {
    if (root.isConnected) {
      drawn.resize();
      return;
    }
    // htmx has put something else in its place.
    sizes.disconnect();
    themes.disconnect();
    dark.removeEventListener("change", draw);
    drawn.dispose();
  });
  sizes.observe(root);
}

/** From eyes only. In a box of its own: a table does not shrink below its words. */
function hide(table: HTMLTableElement | null): void {
  const box = document.createElement("div");
  box.className = "visually-hidden";
  table?.replaceWith(box);
  if (table) box.append(table);
}

function height(chart: Chart): number {
  if (!("people" in chart || "lanes" in chart)) return 220;
  return 48 + 36 * (chart.kind === "shares" ? chart.people.length : chart.lanes.length);
}

/** The page's own colours, as they are now: custom properties hold both light and dark. */
function palette(root: HTMLElement): Palette {
  const probe = document.createElement("span");
  root.append(probe);
  const colour = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const colours: Palette = {
    ink: colour("--ink"),
    soft: colour("--ink-soft"),
    line: colour("--line"),
    ground: colour("--surface"),
    threads: [0, 1, 2, 3, 4, 5, 6].map((n) => colour(`--thread-${n}`)),
    font: getComputedStyle(root).fontFamily,
  };
  probe.remove();
  return colours;
}
