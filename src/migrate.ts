import { launch } from './boot/launch.js';

await launch('migrate');
