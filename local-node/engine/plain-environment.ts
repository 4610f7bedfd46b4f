/** Keeps only harmless environment variables, for child processes that run strangers' work. */

/** For programs, home and temporary folders, the user's language, and the graphics driver. */
const NAMES = new Set(
  ['PATH', 'HOME', 'USER', 'LANG', 'TZ', 'TMPDIR', 'TEMP', 'TMP', 'LD_LIBRARY_PATH'].concat(
    ['DYLD_LIBRARY_PATH', 'DISPLAY', 'WAYLAND_DISPLAY', 'DRI_PRIME', 'CUDA_VISIBLE_DEVICES'],
    ['SYSTEMROOT', 'WINDIR', 'COMSPEC', 'PATHEXT', 'APPDATA', 'LOCALAPPDATA', 'USERPROFILE'],
  ),
)
const PREFIXES = ['LC_', 'XDG_', 'VK_', 'MESA_', 'LIBGL_', 'LP_', '__GLX_', '__NV_', 'NVIDIA_']

export function plainEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => {
      const upper = name.toUpperCase()
      return NAMES.has(upper) || PREFIXES.some((prefix) => upper.startsWith(prefix))
    }),
  )
}
