/** Exits 0 and prints the adapter when Dawn finds one. A missing loader can crash it, so it is a process of its own. */
import { create, globals } from 'webgpu'

Object.assign(globalThis, globals)
const adapter = await create([]).requestAdapter()
if (adapter === null) process.exit(1)
process.stdout.write(
  `${adapter.info.vendor} ${adapter.info.architecture} ${adapter.info.description}`.trim(),
)
process.exit(0)
