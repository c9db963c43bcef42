import { type Result, valuesOf } from './results.js';
import { spreadOf } from './statistics.js';

const [WIDTH, LABELS, BARS, ROW, HEAD, GAP] = [860, 210, 500, 24, 30, 18];
const [INK, QUIET, OURS, OTHERS] = ['#1f2937', '#6b7280', '#2563eb', '#9ca3af'];

/** A panel a scenario, a bar a contestant: the median, and a line from the least to the most. @returns SVG */
export function chart(results: readonly Result[]): string {
  const panels: string[] = [];
  let y = GAP;
  for (const result of results) {
    if (result.charted === undefined) continue;
    const { svg, height } = panel(result, result.charted, y);
    panels.push(svg);
    y += height + GAP;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}" font-family="system-ui, sans-serif" font-size="13" role="img">
<title>What the platform and its peers did</title>
<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>
${panels.join('\n')}
</svg>
`;
}

function panel(result: Result, figure: string, top: number): { svg: string; height: number } {
  const unit = result.figures.find(({ name }) => name === figure)?.unit ?? '';
  const bars = Object.keys(result.samples).map((name) => ({
    name,
    ...spreadOf(valuesOf(result, name, figure)),
  }));
  const most = Math.max(...bars.map(({ max }) => max));
  const heading = unit === '/s' ? `${figure}/s` : `${figure} in ${unit}, less is better`;

  const parts = [
    `<text x="${GAP}" y="${top + 14}" font-weight="600" fill="${INK}">${escaped(result.title)}</text>`,
    `<text x="${WIDTH - GAP}" y="${top + 14}" text-anchor="end" fill="${QUIET}">${escaped(heading)}</text>`,
    ...bars.map((bar, index) => row(bar, most, top + HEAD + index * ROW)),
  ];
  return { svg: parts.join('\n'), height: HEAD + bars.length * ROW };
}

function row(
  { name, median, min, max }: { name: string; median: number; min: number; max: number },
  most: number,
  top: number,
): string {
  const x = (value: number): number => Math.round(LABELS + (value / most) * BARS);
  const middle = top + 8;
  const shown = median >= 100 ? Math.round(median).toLocaleString('en-US') : median.toFixed(1);
  return `<text x="${LABELS - 10}" y="${top + 13}" text-anchor="end" fill="${INK}">${escaped(name)}</text>
<rect x="${LABELS}" y="${top}" width="${x(median) - LABELS}" height="16" rx="2" fill="${name.startsWith('platform') ? OURS : OTHERS}"/>
<path d="M${x(min)} ${middle}H${x(max)}M${x(min)} ${middle - 4}v8M${x(max)} ${middle - 4}v8" stroke="${INK}" fill="none"/>
<text x="${x(max) + 8}" y="${top + 13}" fill="${INK}">${shown}</text>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
