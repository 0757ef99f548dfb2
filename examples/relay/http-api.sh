#!/usr/bin/env bash
# Calls somebody with curl, has a document speak to them, and shows the call.
#
#     examples/relay/http-api.sh sip:alice@phones.test
set -euo pipefail

url=${CORDBOARD_URL:-http://127.0.0.1:8080}
credentials=${CORDBOARD_PROJECT:-demo}:${CORDBOARD_TOKEN:-demo-token}

made=$(curl --fail-with-body --silent --show-error --user "$credentials" "$url/api/calling/calls" \
  --header 'Content-Type: application/json' \
  --data '{"command": "dial", "params": {
    "from": "+15551230000",
    "to": "'"$1"'",
    "swml": {"version": "1.0.0", "sections": {"main": [{"play": "say:Your order has been sent."}, {"hangup": {}}]}}
  }}')
echo "$made"

id=$(printf %s "$made" | sed -E 's/^.*"id": ?"([^"]+)".*$/\1/')
until curl --fail --silent --user "$credentials" "$url/api/calling/calls/$id" | grep -qE '"state": ?"ended"'; do
  sleep 0.5
done
curl --fail --silent --user "$credentials" "$url/api/calling/calls/$id/ladder"
echo
