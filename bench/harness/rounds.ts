import type { Bench } from './bench.js';
import type { Sample, Scenario } from './scenario.js';
import { rotated } from './statistics.js';

/**
 * Puts a scenario's question to its contestants, round after round, in an order that rotates.
 * @param most rounds, where the scenario does not ask for fewer
 * @returns by contestant, a sample a round
 */
export async function playRounds(
  bench: Bench,
  scenario: Scenario,
  most: number,
  tell: (line: string) => void,
): Promise<Record<string, Sample[]>> {
  const contestants = scenario.contestants.filter(({ slow }) => !(slow && bench.options.quick));
  const samples = Object.fromEntries(contestants.map(({ name }): [string, Sample[]] => [name, []]));

  const rounds = Math.min(most, scenario.rounds ?? most);
  tell(`${scenario.key}: ${scenario.title}`);
  await scenario.prepare?.(bench);
  for (let round = 0; round < rounds; round++) {
    for (const { name, measure } of rotated(contestants, round)) {
      const sample = await measure(bench);
      samples[name]?.push(sample);
      tell(`  round ${round + 1} of ${rounds}  ${name.padEnd(24)} ${told(sample)}`);
    }
  }
  return samples;
}

function told(sample: Sample): string {
  return Object.entries(sample)
    .map(([name, value]) => `${name} ${value >= 100 ? Math.round(value) : value.toFixed(2)}`)
    .join('  ');
}
