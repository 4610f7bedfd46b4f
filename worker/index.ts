export { decide } from '#shared/policy.ts'
