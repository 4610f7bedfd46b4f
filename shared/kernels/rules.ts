/** Names of the rules on submitted kernels that errors carry, the same on node, hub and wire. */

/** The node reports that the kernel hung its device. */
export const HANG_RULE = 'kernels.hang'
/** The kernel has hung devices and is banned. */
export const BANNED_RULE = 'kernels.banned'
/** A loop used up this node's budget for one dispatch. */
export const BUDGET_RULE = 'kernels.budget'
