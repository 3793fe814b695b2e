#!/usr/bin/env bash
# ./dev pot: after a text has changed, brings template and translations up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec /usr/bin/python3 tools/po.py update
