import { decideForMe } from 'unbearer'

decideForMe()
