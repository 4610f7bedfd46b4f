/** `node scripts/commands/house.ts`: measures the rooms and checks them against ARCHITECTURE.md. A part of `npm run check`. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { repositoryPath } from '#scripts/base/paths.ts'
import { readImports } from '#scripts/house/imports.ts'
import { judgeHouse } from '#scripts/house/judge.ts'
import { readPlan } from '#scripts/house/plan.ts'

const listed = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts', '*.mjs'],
  { cwd: repositoryPath('.'), encoding: 'utf8' },
)
const files = listed
  .split('\n')
  .filter((path) => path !== '' && existsSync(repositoryPath(path)))
  .map((path) => readImports(path, readFileSync(repositoryPath(path), 'utf8')))
const plan = readPlan(readFileSync(repositoryPath('ARCHITECTURE.md'), 'utf8'))
const { figures, faults } = judgeHouse(plan, files)
const { rooms, arrows, mostFiles, circles, up } = figures
console.log(
  `${rooms} rooms, ${arrows} arrows between them, ${circles} circles, ${up} arrows up; ` +
    `most files in a room: ${mostFiles.files} (${mostFiles.room}/)`,
)
for (const fault of faults) console.error(fault)
if (faults.length > 0) process.exitCode = 1
