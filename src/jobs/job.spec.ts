import { IllegalTransition } from './job.errors.js';
import { assertMove, JOB_STATUSES, mayMove, type JobStatus, type Move } from './job.js';

/** Written out once more, so that a change of the state machine is a change in two places. */
const LEGAL: Record<Move, JobStatus[]> = {
  claim: ['waiting', 'delayed'],
  complete: ['active'],
  fail: ['active'],
  back_off: ['active'],
  release: ['active'],
  reap: ['active'],
  quarantine: ['active'],
  retry: ['failed', 'cancelled'],
  cancel: ['waiting', 'delayed', 'active'],
  run_now: ['delayed'],
  expire: ['waiting', 'delayed'],
};
const moves = Object.keys(LEGAL) as Move[];

it.each(moves)('allows "%s" from the states that it is meant for, and from no other', (move) => {
  expect(JOB_STATUSES.filter((status) => mayMove(status, move))).toEqual(LEGAL[move]);
});

it('lets nothing out of "completed"', () => {
  expect(moves.filter((move) => mayMove('completed', move))).toEqual([]);
});

it('names the states from which a refused move would be legal', () => {
  const refused = () => assertMove('a', 'active', 'retry');

  expect(refused).toThrow(IllegalTransition);
  expect(refused).toThrow('Job a is active; retry needs it to be failed or cancelled.');
});

it('says nothing to a move that is legal', () => {
  expect(() => assertMove('a', 'cancelled', 'retry')).not.toThrow();
});
