import { allowNull } from './nullable-references.js';

const reference = { $ref: '#/components/schemas/Pet' };

it('takes null for what may be null, and keeps all else', () => {
  const document = {
    properties: {
      pet: { nullable: true, type: 'object', description: 'Yours.', allOf: [reference] },
      other: { description: 'Not null.', allOf: [reference] },
      name: { type: 'string', nullable: true },
    },
  };

  allowNull(document);

  expect(document.properties).toEqual({
    pet: { description: 'Yours.', anyOf: [reference, { type: 'object', nullable: true, enum: [null] }] },
    other: { description: 'Not null.', allOf: [reference] },
    name: { type: 'string', nullable: true },
  });
});
