// uPlot as a component: drawn in the page's colours, again when they or its width change.

import { Component, html } from "./vendor/htm-preact.js";
import { axisTime, short } from "./format.js";
import uPlot from "./vendor/uPlot.esm.js";

const HEIGHT = 150;
const FONT = "11px system-ui, sans-serif";

/** `data` as uPlot takes it; `series` `[{label, color, kind: bars|line|area}]`, `color` the name of a CSS variable;
 * `span` is how many seconds are shown.
 *
 * `onPoint(index or null)` tells where the pointer is.
 */
export class Plot extends Component {
  componentDidMount() {
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(this.base);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.draw();
    this.scheme.addEventListener("change", this.redraw);
    this.themes = new MutationObserver(this.redraw);
    this.themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this.draw();
  }

  shouldComponentUpdate(next) {
    if (next.data !== this.props.data) {
      this.props = next;
      this.plot?.setData(next.data);
    }
    return false;
  }

  componentWillUnmount() {
    this.resizing.disconnect();
    this.themes.disconnect();
    this.scheme.removeEventListener("change", this.redraw);
    this.plot?.destroy();
  }

  resize() {
    const width = this.base.clientWidth;
    if (this.plot && width && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  draw() {
    this.plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    this.plot = new uPlot(this.options(color), this.props.data, this.base);
  }

  options(color) {
    const lines = { stroke: color("--grid"), width: 1 };
    const y = { range: fromZero };
    const axis = { stroke: color("--muted"), font: FONT, grid: lines, ticks: { show: false } };
    return {
      width: this.base.clientWidth || 300,
      height: HEIGHT,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { range: (_plot, _first, last) => [last - this.props.span, last] }, y, right: y },
      axes: this.axes(axis),
      series: [{}, ...this.props.series.map((one) => seriesOf(one, color))],
      hooks: { setCursor: [(plot) => this.props.onPoint?.(plot.cursor.idx ?? null)] },
    };
  }

  /** Time below, numbers on the left, and on the right those of the series that have a scale of their own. */
  axes(axis) {
    const numbers = { ...axis, size: 40, space: 30, values: (_plot, values) => values.map(short) };
    const times = (_plot, values, _axis, _space, step) => values.map((value) => axisTime(value, step));
    const right = { ...numbers, scale: "right", side: 1, size: 32, grid: { show: false } };
    const below = { ...axis, grid: { show: false }, size: 22, space: 52, values: times };
    return [below, numbers, ...(this.props.series.some((one) => one.isRight) ? [right] : [])];
  }

  render() {
    return html`<div class="plot" aria-hidden="true"></div>`;
  }
}

function fromZero(_plot, _low, high) {
  return [0, Math.max(1, (high ?? 0) * 1.08)];
}

function seriesOf({ label, color: name, kind, isRight }, color) {
  const stroke = color(name);
  const scale = isRight ? "right" : "y";
  const common = { label, stroke, scale, width: 1.5, points: { show: false }, spanGaps: false };
  if (kind === "bars") {
    return { ...common, width: 0, fill: stroke, paths: uPlot.paths.bars({ size: [0.9, 24, 1], gap: 0, align: -1 }) };
  }
  const paths = uPlot.paths.stepped({ align: -1 });
  return kind === "area" ? { ...common, fill: `${stroke}26`, paths } : { ...common, paths };
}
