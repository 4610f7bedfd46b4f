/** Exits 0 and names the adapter when Dawn finds one; a process of its own, because a missing loader can end it. */
import { create, globals } from 'webgpu'

Object.assign(globalThis, globals)
const adapter = await create([]).requestAdapter()
if (adapter === null) process.exit(1)
process.stdout.write(
  `${adapter.info.vendor} ${adapter.info.architecture} ${adapter.info.description}`.trim(),
)
process.exit(0)
