import { QuickTypes } from './quick-types.js';

function setup() {
  const types = new QuickTypes();
  const ran = (times: number, took: number, type = 'demo') => {
    for (let n = 0; n < times; n++) types.ran(type, took);
  };
  return { types, ran };
}

it('takes a type for quick once ten of its handlers were', () => {
  const { types, ran } = setup();
  ran(9, 5);
  expect(types.names).toEqual([]);

  ran(1, 5);
  expect(types.names).toEqual(['demo']);
});

it('knows each type by itself', () => {
  const { types, ran } = setup();
  ran(20, 5, 'quick');
  ran(20, 60, 'slow');

  expect(types.names).toEqual(['quick']);
});

it('takes a type that has become slower for slow, and for quick again', () => {
  const { types, ran } = setup();
  ran(10, 5);

  ran(20, 80);
  expect(types.names).toEqual([]);

  ran(30, 5);
  expect(types.names).toEqual(['demo']);
});

it('learns a type anew after a handler that took long', () => {
  const { types, ran } = setup();
  ran(1_000, 1);
  expect(types.names).toEqual(['demo']);

  ran(1, 1_000);
  expect(types.names).toEqual([]);

  ran(9, 1);
  expect(types.names).toEqual([]);
  ran(20, 1);
  expect(types.names).toEqual(['demo']);
});

it('gives the same list while nothing has changed', () => {
  const { types, ran } = setup();
  ran(10, 1);
  const { names } = types;

  ran(10, 1);

  expect(types.names).toBe(names);
});
