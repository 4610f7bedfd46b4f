/** Body of a compute request whose kernel has one buffer of four bytes, which comes back. */
export function computeRequest(wgsl: string, workgroups = 1) {
  return {
    kernel: { wgsl, entryPoint: 'main', workgroups: [workgroups, 1, 1] },
    buffers: [{ binding: 0, access: 'read_write', sizeBytes: 4, return: true }],
  }
}
