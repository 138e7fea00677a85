// What each kind of plot is made of, as ECharts takes it.

import type { CustomSeriesOption } from "echarts/charts";
import type { EChartsCoreOption } from "echarts/core";
import { clockText } from "./clock.ts";

/** `thread` is the voice's colour: 1 to 6, 0 for a shared device. Times in seconds. */
export type Chart =
  | { kind: "shares"; people: { name: string; share: number | null; thread: number }[] }
  | {
      kind: "timeline";
      end: number;
      lanes: { name: string; thread: number; spans: [start: number, end: number][] }[];
    }
  | {
      kind: "line";
      min?: number;
      max?: number;
      series: { name: string; thread?: number; points: [at: number, value: number | null][] }[];
    }
  | { kind: "trend" | "columns"; points: { name: string; share: number | null; shown: string }[] }
  | { kind: "counts"; across: string; up: string; points: { name: string; count: number }[] };

export interface Palette {
  ink: string;
  soft: string;
  line: string;
  ground: string;
  threads: string[];
  font: string;
}

export function option(chart: Chart, colours: Palette): EChartsCoreOption {
  const thread = (n: number): string => colours.threads[n] ?? colours.soft;
  const tooltip = {
    backgroundColor: colours.ground,
    borderColor: colours.line,
    textStyle: { color: colours.ink },
    confine: true,
  };
  const base = { textStyle: { fontFamily: colours.font }, grid: grid() };
  const lines = { splitLine: { lineStyle: { color: colours.line } } };
  const label = { axisLabel: { color: colours.soft } };
  const names = (all: string[]): object => ({
    type: "category",
    data: all,
    inverse: true,
    axisTick: { show: false },
    axisLine: { show: false },
    axisLabel: { color: colours.ink, width: 110, overflow: "truncate" },
  });
  const times = (max: number | undefined): object => ({
    type: "value",
    min: 0,
    max,
    ...lines,
    axisLabel: { color: colours.soft, formatter: clockText, hideOverlap: true },
  });

  const percent = (value: number): string => `${Math.round(value * 100)}%`;
  const across = (all: string[]): object => ({
    type: "category",
    data: all,
    axisTick: { show: false },
    axisLine: { lineStyle: { color: colours.line } },
    axisLabel: { color: colours.ink, hideOverlap: true },
  });
  const said = { show: true, position: "top", color: colours.ink };

  switch (chart.kind) {
    case "shares": {
      return {
        ...base,
        tooltip: { ...tooltip, valueFormatter: percent },
        yAxis: names(chart.people.map(({ name }) => name)),
        xAxis: { type: "value", min: 0, max: 1, ...lines, axisLabel: { color: colours.soft, formatter: percent } },
        series: [
          {
            type: "bar",
            barMaxWidth: 18,
            data: chart.people.map(({ share, thread: n }) => ({
              value: share ?? "-", // not heard is not silent: no bar at all
              itemStyle: { color: thread(n) },
            })),
          },
        ],
      };
    }
    case "timeline":
      return {
        ...base,
        tooltip: {
          ...tooltip,
          formatter: ({ value }: { value: [number, number, number] }) =>
            `${clockText(value[1])} – ${clockText(value[2])}`,
        },
        yAxis: names(chart.lanes.map(({ name }) => name)),
        xAxis: times(chart.end),
        series: chart.lanes.map((lane, row) => ({
          type: "custom",
          name: lane.name,
          renderItem: bar,
          itemStyle: { color: thread(lane.thread) },
          encode: { x: [1, 2], y: 0 },
          data: lane.spans.map(([from, to]) => [row, from, to]),
        })),
      };
    case "trend":
    case "columns": {
      const last = chart.points.findLastIndex(({ share }) => share !== null);
      return {
        ...base,
        tooltip: { ...tooltip, trigger: "axis", axisPointer: { type: "shadow" }, valueFormatter: shareText },
        xAxis: across(chart.points.map(({ name }) => name)),
        yAxis: { type: "value", min: 0, max: 1, ...lines, axisLabel: { color: colours.soft, formatter: percent } },
        series: [
          {
            ...(chart.kind === "trend"
              ? { type: "line", symbolSize: 7, lineStyle: { width: 2 } }
              : { type: "bar", barMaxWidth: 36 }),
            // A line says where it stands now, columns each their number; the table says all.
            label: {
              ...said,
              formatter: ({ dataIndex: n }: { dataIndex: number }) =>
                chart.kind === "columns" || n === last ? (chart.points[n]?.shown ?? "") : "",
            },
            color: thread(1),
            data: chart.points.map(({ share }) => share ?? "-"), // no roll is no zero
          },
        ],
      };
    }
    case "counts":
      return {
        ...base,
        tooltip: { ...tooltip, trigger: "axis", axisPointer: { type: "shadow" } },
        xAxis: {
          ...across(chart.points.map(({ name }) => name)),
          name: chart.across,
          nameLocation: "middle",
          nameGap: 28,
          nameTextStyle: { color: colours.soft },
        },
        yAxis: {
          type: "value",
          minInterval: 1,
          ...lines,
          ...label,
          name: chart.up,
          nameTextStyle: { color: colours.soft, align: "left" },
        },
        series: [
          {
            type: "bar",
            barCategoryGap: "12%",
            label: { ...said, formatter: ({ value }: { value: number }) => (value > 0 ? String(value) : "") },
            color: thread(1),
            data: chart.points.map(({ count }) => count),
          },
        ],
      };
    case "line":
      return {
        ...base,
        tooltip: { ...tooltip, trigger: "axis", axisPointer: { lineStyle: { color: colours.soft } } },
        xAxis: times(undefined),
        yAxis: { type: "value", min: chart.min, max: chart.max, ...lines, ...label },
        series: chart.series.map(({ name, thread: n, points }, index) => ({
          type: "line",
          name,
          data: points,
          showSymbol: points.length < 30,
          color: thread(n ?? index + 1),
          lineStyle: { width: 2 },
        })),
      };
  }
}

function shareText(value: unknown): string {
  return typeof value === "number" ? `${Math.round(value * 100)}%` : "–";
}

function grid(): object {
  return { left: 8, right: 16, top: 12, bottom: 8, outerBoundsMode: "same" };
}

const bar: CustomSeriesOption["renderItem"] = (_, api) => {
  const row = Number(api.value(0));
  const from = api.coord([api.value(1), row]);
  const to = api.coord([api.value(2), row]);
  const size = api.size?.([0, 1]);
  const tall = Math.min(18, (Array.isArray(size) ? (size[1] ?? 20) : 20) * 0.6);
  const [x, y] = [from[0] ?? 0, from[1] ?? 0];
  return {
    type: "rect",
    shape: { x, y: y - tall / 2, width: Math.max(1, (to[0] ?? x) - x), height: tall, r: 2 },
    style: { fill: String(api.visual("color")) },
  };
};
