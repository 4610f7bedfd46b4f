/** Stops zod from compiling code, which the page's Content-Security-Policy forbids. Must be imported first. */
import { z } from 'zod'

z.config({ jitless: true })
