#!/usr/bin/env node
/** `littoral <command>`: the same commands as `npm run <command>`, for who has installed this as a package. */
import './bootstrap.mjs'
