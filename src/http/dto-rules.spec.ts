import { IsBoolean, validateSync, ValidateBy } from 'class-validator';
import { SubmitOptionsDto } from '../jobs/http/submit-job.dto.js';
import { IntegerIn, Present, Text } from './constraints.js';
import { Optional } from './dto-reader.js';
import { isSurelyValid } from './dto-rules.js';

class OrderDto {
  @Present()
  id: unknown;

  @Optional()
  @IntegerIn(1, 9)
  count?: unknown;

  @Optional()
  @IsBoolean()
  paid?: unknown;
}

class TaggedDto {
  @Text(/^a/, 'must start with a', { each: true })
  tags: unknown;
}

class SlowDto {
  @ValidateBy({ name: 'slow', async: true, validator: { validate: () => Promise.resolve(false) } })
  id: unknown;
}

class LimitedDto {
  @ValidateBy({
    name: 'withinLimit',
    validator: { validate: (value, asked) => Number(value) <= (asked?.object as LimitedDto).limit },
  })
  count = 1;
  limit = 1;
}

it.each<[object, boolean]>([
  [{ id: 0 }, true],
  [{ id: null, count: 9, paid: false }, true],
  [{}, false],
  [{ id: 0, count: 0 }, false],
  [{ id: 0, count: null }, false],
  [{ id: 0, paid: 'yes' }, false],
])('judges %j as class-validator does', (given, valid) => {
  const dto = Object.assign(new OrderDto(), given);

  expect(isSurelyValid(OrderDto, dto)).toBe(valid);
  expect(validateSync(dto)).toHaveLength(valid ? 0 : 1);
});

it('looks at each option of a submit', () => {
  const wrong = ['delay', 'runAt', 'priority', 'attempts', 'timeout', 'expiresAt', 'tags', 'dedupeKey'];

  expect(isSurelyValid(SubmitOptionsDto, new SubmitOptionsDto())).toBe(true);
  for (const option of wrong) {
    expect(isSurelyValid(SubmitOptionsDto, Object.assign(new SubmitOptionsDto(), { [option]: {} }))).toBe(
      false,
    );
  }
});

it('shows a check the whole object', () => {
  expect(isSurelyValid(LimitedDto, new LimitedDto())).toBe(true);
  expect(isSurelyValid(LimitedDto, Object.assign(new LimitedDto(), { count: 2 }))).toBe(false);
});

it('is not sure of what it does not know', () => {
  expect(isSurelyValid(TaggedDto, Object.assign(new TaggedDto(), { tags: ['a'] }))).toBe(false);
  expect(isSurelyValid(SlowDto, new SlowDto())).toBe(false);
});
