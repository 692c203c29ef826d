"""GET /openapi.json, and /docs: Swagger UI over it, from this process alone."""

import base64
import hashlib

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from app.http.replies import json_response
from app.openai.document import document

router = APIRouter(include_in_schema=False)

assets = StaticFiles(packages=[("fastapi_swagger", "resources")])
"""The files of Swagger UI, which that package brings along."""

# Without `validatorUrl: null`, Swagger UI would ask swagger.io to validate the document. By itself
# it does not show the document's samples.
_START = """
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

const here = location.href.replace(/\\/docs.*/, "");
const samples = (Parameters, {React: {createElement: element}, specSelectors}) => (properties) => {
  const path = properties.specPath.butLast().push("x-codeSamples");
  const found = specSelectors.specJson().getIn(path.toArray())?.toJS() ?? [];
  const shown = found.map(({label, source}) => element("details", {key: label},
    element("summary", null, label),
    element("pre", {className: "example"}, source.replaceAll("http://127.0.0.1:8000", here))));
  return element("div", null, ...shown, element(Parameters, properties));
};

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  plugins: [{wrapComponents: {parameters: samples}}],
});
"""

# Every error has the headers of the answer; only what those two add is worth its room. Empty parts
# of a form count as absent here, so there is nothing to choose.
_STYLE = """
.swagger-ui .response[data-code^="4"]:not([data-code="429"]) .headers-wrapper,
.swagger-ui .response[data-code^="5"]:not([data-code="503"]) .headers-wrapper { display: none; }
.swagger-ui .parameter__empty_value_toggle { display: none; }
.swagger-ui details { margin: 10px 20px; font-family: sans-serif; }
.dark-mode .swagger-ui .renderedMarkdown td { color: inherit; }
"""

# URLs are relative, so that a proxy may serve the page under any host, scheme and path.
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Verbatim</title>
<link rel="icon" href="docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<style>{_STYLE}</style>
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script>{_START}</script>
</body>
</html>
"""

_START_HASH = base64.b64encode(hashlib.sha256(_START.encode()).digest()).decode()
_POLICY = (
    f"default-src 'self'; script-src 'self' 'sha256-{_START_HASH}'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
)
"""Makes browsers refuse whatever comes from another host: companies run us without internet."""


# On a thread, as making the document would stop the event loop for a moment.
@router.get("/openapi.json")
def openapi() -> Response:
    return json_response(document())


@router.get("/docs")
async def docs() -> HTMLResponse:
    return HTMLResponse(_PAGE, headers={"content-security-policy": _POLICY})
