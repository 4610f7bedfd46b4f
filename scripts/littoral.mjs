#!/usr/bin/env node
/** `littoral <command>`: the same as `npm run <command>`, for an installed package. */
import './bootstrap.mjs'
