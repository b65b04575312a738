"""Connections to vendors that all calls of a process share; provider objects are made per call over them."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from edge_agents.providers.llm.sent_request import watch_sending
from edge_agents.providers.tenant_clients import TenantClients
from edge_agents.providers.timeouts import DEADLINES, Deadlines
from edge_agents.settings import AgentSettings, Endpoint
from shared.errors import ParleyError
from shared.net_httpx import guarded_httpx_client


class EndpointMissingError(ParleyError):
    """The process has no endpoint for a provider that an agent asks for."""

    code = "provider_not_configured"


class ProviderClients:
    """Shared HTTP sessions and OpenAI clients of one process. Open once, close last.

    LiveKit's own shared session allows 50 connections per host: 25 calls, then errors (measured, see
    docs/references.md). Ours has no such limit; admission bounds the number of calls.
    """

    def __init__(self, settings: AgentSettings, *, deadlines: Deadlines = DEADLINES) -> None:
        self._settings = settings
        self._deadlines = deadlines
        self._http: aiohttp.ClientSession | None = None
        self._voice_http: aiohttp.ClientSession | None = None
        self._openai: dict[str, AsyncOpenAI] = {}
        self._tenant_openai = TenantClients(self._make_tenant_openai)

    async def __aenter__(self) -> ProviderClients:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=120)
        self._http = aiohttp.ClientSession(connector=connector, trust_env=False)
        self._voice_http = aiohttp.ClientSession(
            connector=connector, connector_owner=False, trust_env=False, raise_for_status=_refuse_text
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for client in self._openai.values():
            await client.close()
        await self._tenant_openai.aclose()
        for session in (self._voice_http, self._http):
            if session is not None:
                await session.close()

    @property
    def http(self) -> aiohttp.ClientSession:
        """Shared session for recognisers."""
        return _open(self._http)

    @property
    def voice_http(self) -> aiohttp.ClientSession:
        """Shared session for voices: an error page that comes in the place of audio is an error there."""
        return _open(self._voice_http)

    def endpoint(self, provider: str, name: str = "") -> Endpoint:
        """Where a provider is reached.

        Raises:
            EndpointMissingError: the settings name none.
        """
        key = f"{provider}/{name}" if name else provider
        try:
            return self._settings.endpoints[key]
        except KeyError:
            raise EndpointMissingError(
                f"no endpoint for provider {key!r}", hint="add it to PARLEY_ENDPOINTS", provider=key
            ) from None

    def openai(self, name: str = "") -> AsyncOpenAI:
        """The client of a configured OpenAI endpoint; one per endpoint and process."""
        if name not in self._openai:
            endpoint = self.endpoint("openai", name)
            self._openai[name] = AsyncOpenAI(
                api_key=endpoint.key.get_secret_value(),
                base_url=endpoint.url,
                max_retries=0,
                http_client=DefaultAsyncHttpxClient(event_hooks={"request": [watch_sending]}),
            )
        return self._openai[name]

    def tenant_openai(self, base_url: str, api_key: str) -> tuple[AsyncOpenAI, Callable[[], None]]:
        """A client for a tenant's own OpenAI-compatible URL, through the guarded connection check.

        Returns:
            The client, and what to call once when the call no longer uses it: idle clients are closed some time.
        """
        return self._tenant_openai.take(base_url, api_key)

    def _make_tenant_openai(self, base_url: str, api_key: str) -> AsyncOpenAI:
        http_client = guarded_httpx_client(
            allow_loopback=self._settings.allow_loopback, timeout_s=self._deadlines.llm_first_chunk_s
        )
        http_client.event_hooks = {"request": [watch_sending]}
        return AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0, http_client=http_client)


def _open(session: aiohttp.ClientSession | None) -> aiohttp.ClientSession:
    if session is None:
        raise RuntimeError("ProviderClients is not open")
    return session


async def _refuse_text(response: aiohttp.ClientResponse) -> None:
    """The plugins play, and we would keep, whatever comes with status 200: a broken proxy's page is noise.

    Raises:
        aiohttp.ClientResponseError: the answer to a request for audio is text, JSON or markup.
    """
    kind = response.content_type
    if response.method != "POST" or response.status != 200:
        return
    if kind.startswith("text/") or kind.endswith(("json", "xml", "html")):
        response.close()
        raise aiohttp.ContentTypeError(
            response.request_info, response.history, status=response.status, message=f"{kind} is no audio"
        )
