import { createParamDecorator } from '@nestjs/common';

/** Whose request it is. There is one tenant until keys name theirs; every use case is told all the same. */
export const Tenant = createParamDecorator((): string => 'default');
