import { Logger } from '@nestjs/common';
import { OutageLog } from './outage-log.js';

it('tells once of each server that is away, and once that it is back', () => {
  const said: string[] = [];
  Logger.overrideLogger({
    log: (line: string) => said.push(line),
    warn: (line: string) => said.push(line),
    error: () => undefined,
  });
  const outages = new OutageLog();

  for (let n = 0; n < 3; n++) outages.failed(new Error('refused'), 'a:1');
  outages.answered('b:1');
  outages.failed(new Error('late'), 'b:1');
  outages.answered('a:1');
  outages.answered('a:1');
  outages.failed(new Error('refused'));

  expect(said).toEqual([
    'The queue does not answer at a:1, retrying: refused',
    'The queue does not answer at b:1, retrying: late',
    'The queue answers again at a:1',
    'The queue does not answer, retrying: refused',
  ]);
});
