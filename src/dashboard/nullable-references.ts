const NULL = { type: 'object', nullable: true, enum: [null] };

/**
 * Nest writes "this schema, or null" as `allOf` with `nullable` beside it; but what stands in `allOf` must hold too, and
 * allows no null. Rewrites it to `anyOf`, in place, wherever it stands below.
 */
export function allowNull(part: unknown): void {
  if (typeof part !== 'object' || part === null) return;
  if ('nullable' in part && part.nullable === true && 'allOf' in part && Array.isArray(part.allOf)) {
    const { allOf } = part as { allOf: unknown[] };
    Object.assign(part, { anyOf: [allOf.length === 1 ? allOf[0] : { allOf }, NULL] });
    for (const key of ['nullable', 'allOf', 'type']) Reflect.deleteProperty(part, key);
  }
  for (const value of Object.values(part)) allowNull(value);
}
