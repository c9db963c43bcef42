import { deliveryId, parseDeliveryId } from './delivery-id.js';

describe('a delivery id', () => {
  const delivery = { jobId: '019ab2c4-5d6e-7f80-9123-456789abcdef', delivery: 12 };

  it('is read back as it was made', () => {
    expect(parseDeliveryId(deliveryId(delivery))).toEqual(delivery);
  });

  it.each([
    undefined,
    '',
    '12',
    'job',
    'job_',
    '_1',
    'job_x',
    'job_1',
    '019ab2c4-5d6e-7f80-9123-456789abcdef,_1',
  ])('is not read out of %p', (id) => {
    expect(parseDeliveryId(id)).toBeUndefined();
  });
});
