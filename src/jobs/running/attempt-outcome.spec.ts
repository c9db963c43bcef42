import { PermanentFailure, RetryableFailure } from '../job.errors.js';
import { outcomeOfError } from './attempt-outcome.js';

function errorWith(properties: object): Error {
  return Object.defineProperties(new Error('x'), Object.getOwnPropertyDescriptors(properties));
}

it.each([
  ['a message that is null', errorWith({ message: null }), 'null'],
  ['a message that is an object', errorWith({ message: { a: 1 } }), '[object Object]'],
  ['a stack that is no text', errorWith({ stack: [] }), 'x'],
  [
    'a thrown object without a prototype',
    Object.create(null),
    'The handler threw a value that cannot be shown',
  ],
  [
    'a message that throws',
    errorWith({
      get message() {
        throw new Error('no');
      },
    }),
    'The handler threw a value that cannot be shown',
  ],
  ['nothing at all', undefined, 'undefined'],
])('ends the attempt whatever was thrown: %s', (_what, thrown, message) => {
  expect(outcomeOfError(thrown)).toMatchObject({
    kind: 'failed',
    permanent: false,
    error: { code: 'HANDLER_ERROR', message },
  });
});

it('takes a code that is no text for none', () => {
  const failure = Object.assign(new PermanentFailure('x'), { code: 7 });

  expect(outcomeOfError(failure)).toMatchObject({ permanent: true, error: { code: 'PERMANENT_FAILURE' } });
});

it('keeps the code of a failure that another attempt may mend', () => {
  expect(outcomeOfError(new RetryableFailure('not now', 'BUSY'))).toMatchObject({
    permanent: false,
    error: { code: 'BUSY', message: 'not now' },
  });
});
