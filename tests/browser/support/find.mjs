// Exits with 0 when this machine has a Chromium, else with 1.

import { findChromium } from './chromium.mjs';

process.exitCode = findChromium() ? 0 : 1;
