#!/bin/sh
# What you do once, with the commands that you would type, and then the agent. `npm start` puts `unbearer` on the path.
set -e
rm -rf gate
{
  unbearer init --dir gate
  # It blocks from the start, takes any free port, and waits for a machine that is busy with other things.
  cd gate
  sed -i.bak -e 's/^mode: observe/mode: enforce/' -e 's/127.0.0.1:8700/127.0.0.1:0/' -e 's/deadline: 50ms/deadline: 2s/' \
    unbearer.yaml
  unbearer agents enrol support-agent --new keys/agent.jwk
  unbearer grant create -f ../grant.yaml
  unbearer tools accept ../desk.manifest.yaml
  cd ..
} >/dev/null
node main.ts "$@"
