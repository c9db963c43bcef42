import { hashSlot } from './hash-slot.js';

it.each([
  ['123456789', 0x31c3], // from the specification
  ['foo', 12_182], // as CLUSTER KEYSLOT answers
  ['', 0],
])('finds the slot of %j', (tag, slot) => {
  expect(hashSlot(tag)).toBe(slot);
});
