import { type CpuProfile, summaryOf } from './cpu-profile.js';

const root = new URL('../../', import.meta.url).href;

describe('a CPU profile', () => {
  const summary = summaryOf(aProfile());

  it('tells for how much of the time the process was not idle', () => {
    expect(summary.busy).toBeCloseTo(0.5);
  });

  it('adds up the time that was not idle by package', () => {
    expect(summary.byModule).toEqual([
      { name: 'pg', share: expect.closeTo(0.6) },
      { name: 'garbage collection', share: expect.closeTo(0.2) },
      { name: 'dist/jobs', share: expect.closeTo(0.2) },
    ]);
  });

  it('tells of each function what it took by itself, and of ours with all that it called', () => {
    expect(summary.bySelf[0]).toEqual({ name: 'parse pg/lib/result.js:8', share: expect.closeTo(0.6) });
    expect(summary.byTotal).toEqual([{ name: 'submit dist/jobs/submit.js:5', share: expect.closeTo(0.8) }]);
  });
});

/** Ten samples of 1 ms: five idle, one in `submit`, three in what it calls beneath a second `submit`, one in the collector. */
function aProfile(): CpuProfile {
  const submit = { functionName: 'submit', url: `${root}dist/jobs/submit.js`, lineNumber: 4 };
  const nodes = [
    { id: 1, callFrame: { functionName: '(root)', url: '', lineNumber: -1 }, children: [2, 3, 4] },
    { id: 2, callFrame: { functionName: '(idle)', url: '', lineNumber: -1 } },
    { id: 3, callFrame: { functionName: '(garbage collector)', url: '', lineNumber: -1 } },
    { id: 4, callFrame: submit, children: [5] },
    { id: 5, callFrame: submit, children: [6] },
    {
      id: 6,
      callFrame: { functionName: 'parse', url: `${root}node_modules/pg/lib/result.js`, lineNumber: 7 },
    },
  ];
  const samples = [2, 2, 2, 2, 2, 3, 4, 6, 6, 6];
  return { nodes, samples, timeDeltas: [0, ...samples.map(() => 1_000)] };
}
