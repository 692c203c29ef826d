#!/usr/bin/env bash
# Packages the chart of a release into the current directory: helm-chart/package.sh VERSION IMAGE
# IMAGE is the repository that .github/workflows/image.yml pushes to. HELM names another helm.
set -euo pipefail
version=$1 image=$2
chart=$(cd "$(dirname "$0")" && pwd)
copy=$(mktemp -d)
trap 'rm -r "$copy"' EXIT
# Its rules and dashboards are links.
cp -RL "$chart" "$copy/verbatim"
sed -i "s|^  repository: verbatim$|  repository: $image|" "$copy/verbatim/values.yaml"
grep -qx "  repository: $image" "$copy/verbatim/values.yaml"
"${HELM:-helm}" package "$copy/verbatim" --version "$version" --app-version "$version"
