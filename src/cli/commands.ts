/**
 * @module
 * Every command, in the order of the help.
 */
import { approvalCommands } from './approvals.ts'
import { backupCommands } from './backups.ts'
import { breakGlassCommands } from './break-glass.ts'
import type { Command } from './command.ts'
import { connectCommand } from './connect.ts'
import { delegationCommands } from './delegations.ts'
import { doctorCommand } from './doctor.ts'
import { enrolCommands, keyCommands } from './enrol.ts'
import { evidenceCommands } from './evidence.ts'
import { grantCommands } from './grants.ts'
import { initMcpCommand } from './init-mcp.ts'
import { initCommand } from './init.ts'
import { mcpCommand } from './mcp.ts'
import { modeCommands } from './modes.ts'
import { reportCommand } from './report.ts'
import { restoreAgentCommand } from './restore.ts'
import { readyCommand } from './ready.ts'
import { resumeCommand, revokeCommand } from './revoke.ts'
import { serveCommand } from './serve.ts'
import { taskCommand } from './tasks.ts'
import { whyCommand } from './why.ts'
import { policyCommands, wrongCommand } from './cases.ts'
import { auditCommands } from './audits.ts'
import { toolCommands } from './scans.ts'
import { toolChangesCommand } from './tool-changes.ts'
import { demoCommand, effectsCommand } from './wired.ts'

export const COMMANDS: readonly Command[] = [
  demoCommand,
  initCommand,
  initMcpCommand,
  ...enrolCommands,
  restoreAgentCommand,
  ...keyCommands,
  ...grantCommands,
  ...delegationCommands,
  taskCommand,
  serveCommand,
  mcpCommand,
  connectCommand,
  ...toolCommands,
  toolChangesCommand,
  ...approvalCommands,
  revokeCommand,
  resumeCommand,
  ...modeCommands,
  whyCommand,
  ...evidenceCommands,
  wrongCommand,
  reportCommand,
  ...policyCommands,
  ...breakGlassCommands,
  ...auditCommands,
  ...backupCommands,
  effectsCommand,
  doctorCommand,
  readyCommand,
]
