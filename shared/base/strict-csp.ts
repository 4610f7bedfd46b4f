/** Imported first: stops zod from compiling code, which the page's Content-Security-Policy forbids and reports. */
import { z } from 'zod'

z.config({ jitless: true })
