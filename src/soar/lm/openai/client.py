"""Any OpenAI-compatible server as a language model, through the openai client, whatever the server leaves out.

Decides how long to wait, what to retry and when to give up. `request` makes requests, `reply` and `refusal` read what
comes back, `learnt` remembers what a server does not accept. Servers differ silently: many ignore n, refuse min_p, load
hidden defaults, stall in mid-body.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import openai
import tenacity

from soar.errors import EndpointError, PromptTooLong, SoarError
from soar.lm.openai.learnt import COLD_ANSWERS, Learnt
from soar.lm.openai.rate import Rate
from soar.lm.openai.refusal import OVERLOADED, TRANSIENT, Refusal, read_refusal, retry_after
from soar.lm.openai.reply import Reply, UnusableReply, completions, read_reply
from soar.lm.openai.request import check_address, open_client, prompt_key, read_key
from soar.types import Completion, Message, Prompt, Sampling

logger = logging.getLogger(__name__)

NOTICE_SECONDS = 30.0
"""The shortest time between two warnings about an endpoint that does not answer."""
FIRST_CONTACT_SECONDS = 60.0
"""How long to wait for an endpoint that has never answered: most likely there is none."""
MAX_WAIT_SECONDS = 30.0
"""The longest wait between two attempts, unless the server asks for more."""
COLD, COLD_TOKENS = "Write a sentence about a river.", 24
"""The prompt that shows whether temperature acts: its completions are short, and differ if drawn at random."""
SAME_ANSWERS = 8
"""How many identical errors or unusable replies in a row end a request: by then a minute has passed."""


class _Transient(Exception):
    """A failed attempt that may succeed later; `wait` is the pause that the server asked for, in seconds.

    `suspect`: it is permanent if it comes back word for word. `advice`: what to do then, if that is known.
    """

    def __init__(self, cause: str, wait: float | None = None, *, suspect: bool = False, advice: str = "") -> None:
        super().__init__(cause)
        self.wait, self.suspect, self.advice = wait, suspect, advice


class _Unreachable(_Transient):
    """No connection, or one that broke."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many requests to send an endpoint at once, and how long to wait for it.

    At most `concurrency` requests are in flight, fewer if the server refuses that many. An attempt that is not complete
    after `deadline_seconds` counts as lost, however much has arrived; a request that keeps failing is given up
    `give_up_seconds` after its first failure. Waits between attempts start at `backoff_seconds` and double.
    """

    concurrency: int = 64
    deadline_seconds: float = 600.0
    give_up_seconds: float = 3600.0
    backoff_seconds: float = 0.5


class OpenAICompatible:
    """A connection to one endpoint, for one event loop.

    `base_url` ends in ``/v1``; `api_key_env` names the variable with the key (without one, a dummy key is sent). A
    request that keeps failing is given up earlier than `limits` says if the endpoint has never answered (after
    `FIRST_CONTACT_SECONDS`), and after `SAME_ANSWERS` identical errors. `learnt` is what is known of the endpoint,
    `reached` whether it has answered before.
    """

    def __init__(
        self,
        model: str,
        base_url: str,
        api_key_env: str | None = None,
        *,
        limits: Limits = Limits(),
        learnt: Learnt | None = None,
        reached: bool = False,
    ) -> None:
        self._model, self._url, self._key_name = model, base_url, api_key_env
        check_address(base_url, api_key_env)
        self._key = read_key(api_key_env, base_url)
        self._client = open_client(base_url, self._key)
        self._rate, self._limits = Rate(limits.concurrency), limits
        self._warned_crowded = False
        self._learnt = learnt or Learnt(base_url)
        self._too_long: set[str] = set()
        self._counts = {"issued": 0, "retried": 0, "failed": 0}
        self._not_before = self._next_notice = 0.0
        self._reached, self._troubled = reached, False
        self._checked_temperature = False

    def fits(self, prompt: Prompt, max_new_tokens: int) -> bool:
        """Return False for a prompt that the server has refused as too long; otherwise only the server knows."""
        return prompt_key(prompt, max_new_tokens) not in self._too_long

    def prompts(self, completions: int) -> int:
        """Return how many times a call for so many completions sends its prompt at most."""
        return self._learnt.prompts(completions)

    async def generate(
        self, prompt: Prompt, seeds: Sequence[int], sampling: Sampling
    ) -> AsyncGenerator[tuple[int, Completion], None]:
        """Yield one completion per seed, each as soon as its request is answered; ask again for missing choices.

        A server that honours n gets one request with the first seed. If that brings a single choice, the rest is
        requested one per seed. `PromptTooLong` and `EndpointError` are raised after all that could be had.
        """
        missing, texts = list(range(len(seeds))), []
        while missing:
            alone = self._learnt.one_at_a_time or len(texts) == 1
            groups = [[place] for place in missing] if alone else [list(missing)]
            async for place, completion in self._answers(prompt, groups, seeds, sampling):
                missing.remove(place)
                texts.append(completion.text)
                yield place, completion
        if sampling.temperature > 0:
            self._learnt.note_answers(texts)
            await self._check_temperature(prompt, sampling)

    def requests(self) -> dict[str, int]:
        """Return how many requests were issued, how many attempts were retries, how many requests were given up."""
        return dict(self._counts)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _check_temperature(self, prompt: Prompt, sampling: Sampling) -> None:
        """Ask an endpoint once for some short completions at temperature 0; if one is missing, note nothing."""
        if self._checked_temperature or not self._learnt.unsure_of_temperature:
            return
        self._checked_temperature = True
        asked: Prompt = COLD if isinstance(prompt, str) else (Message("user", COLD),)
        how, texts = replace(sampling, temperature=0.0, max_new_tokens=COLD_TOKENS), []
        for seed in range(COLD_ANSWERS):
            self._counts["issued"] += 1
            try:
                answer = await self._send(self._learnt.messages(asked), self._learnt.fields(asked, how, seed, 1))
            except (_Transient, EndpointError):
                return
            if isinstance(answer, Refusal):
                return
            texts.append(answer.choices[0][0])
        self._learnt.note_cold_answers(texts)

    async def _answers(
        self, prompt: Prompt, groups: Sequence[Sequence[int]], seeds: Sequence[int], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Completion]]:
        """Yield what one request per group of places brings, as it arrives; then raise the first error."""
        tasks = [
            asyncio.create_task(self._request(prompt, len(group), seeds[group[0]], sampling), name=str(group[0]))
            for group in groups
        ]
        places = dict(zip(tasks, groups, strict=True))
        error: SoarError | None = None
        try:
            waiting = set(tasks)
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=tasks.index):
                    try:
                        found = task.result()
                    except SoarError as problem:
                        error = error or problem
                        continue
                    # A reply may hold fewer completions than places; `generate` asks again for the rest.
                    for place, completion in zip(places[task], found, strict=False):
                        yield place, completion
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if error is not None:
            raise error

    async def _request(self, prompt: Prompt, count: int, seed: int, sampling: Sampling) -> list[Completion]:
        """Return at least one and at most `count` completions, retrying until the request is given up."""
        first_failure, words, same, lasted = None, "", 0, 0.0

        def out_of_patience(state: tenacity.RetryCallState) -> bool:
            nonlocal first_failure, words, same, lasted
            now = time.monotonic()
            first_failure = first_failure or now
            lasted = now - first_failure
            problem = state.outcome.exception() if state.outcome else None
            # Only a failed connection suggests that no server is there.
            self._reached = self._reached or not isinstance(problem, _Unreachable)
            last, words = words, _comparable(problem)
            same = same + 1 if isinstance(problem, _Transient) and problem.suspect and words == last else 1
            return same >= SAME_ANSWERS or lasted + state.upcoming_sleep >= self._patience()

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_Transient),
            wait=self._wait,
            stop=out_of_patience,
            before_sleep=self._notice,
            reraise=True,
        )
        self._counts["issued"] += 1
        try:
            return await retrying(self._attempt, prompt, count, seed, sampling)
        except _Transient as problem:
            self._counts["failed"] += 1
            raise EndpointError(self._given_up(problem, same, lasted)) from None
        except EndpointError:
            self._counts["failed"] += 1
            raise

    def _given_up(self, problem: _Transient, same: int, lasted: float) -> str:
        if same >= SAME_ANSWERS:
            advice = problem.advice or (
                "Check that lm.base_url points to the model itself and that the server accepts what [lm] and [sampling]"
                f" ask of lm.model = {self._model!r}; its log says more"
            )
            return f"{self._url} gave the same answer {same} times, so retrying will not help: {problem}. {advice}"
        advice = problem.advice or "Check that the server runs and that lm.base_url is right"
        return (
            f"{self._url} gave no usable answer in {lasted:.0f} s, and the next retry would come after the"
            f" limit of {self._patience():g} s; last attempt: {problem}."
            f" {advice}, then run the same command again"
        )

    def _patience(self) -> float:
        """Return the seconds after which a request that keeps failing is given up."""
        most = self._limits.give_up_seconds
        return most if self._reached else min(most, FIRST_CONTACT_SECONDS)

    async def _attempt(self, prompt: Prompt, count: int, seed: int, sampling: Sampling) -> list[Completion]:
        """Send the request, adapting it as long as the server refuses something in it; return its completions."""
        while True:
            fields, sent = self._learnt.fields(prompt, sampling, seed, count), self._learnt.messages(prompt)
            started = time.monotonic()
            answer = await self._send(sent, fields)
            if isinstance(answer, Reply):
                break
            if answer.ending is not None:
                return [Completion("", answer.ending, seconds=(time.monotonic() - started) / count)] * count
            if answer.too_long:
                if not self._learnt.make_room(answer, prompt, sampling):
                    self._too_long.add(prompt_key(prompt, sampling.max_new_tokens))
                    raise PromptTooLong(f"{self._url} says that the prompt is too long: {answer.message}")
            elif not self._learnt.adapt(answer, prompt, fields, sent):
                self._raise_unfixable(answer)
            self._counts["retried"] += 1
        self._learnt.note_choices(fields.get("n", 1), answer.returned)
        return completions(answer, count, time.monotonic() - started)

    async def _send(self, prompt: Prompt, fields: Mapping[str, Any]) -> Reply | Refusal:
        """Return the reply, or a refusal of the request itself; raise `_Transient` for a failure that may pass."""
        async with self._rate as started:
            # In a loop: while this request sleeps, another one's Retry-After may move the time.
            while (pause := self._not_before - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            try:
                async with asyncio.timeout(self._limits.deadline_seconds):
                    reply = self._read(await self._post(prompt, fields))
            except TimeoutError:
                raise _Transient(f"no complete answer within {self._limits.deadline_seconds:g} s") from None
            except UnusableReply as problem:
                raise _Transient(str(problem), suspect=True) from None
            except openai.APIStatusError as problem:
                return self._refused(problem, fields, started)
            except openai.APIConnectionError as problem:
                cause = self._without_key(f"{problem.message} {problem.__cause__ or ''}".strip())
                raise _Unreachable(cause) from None
            except openai.APIError as problem:
                raise _Transient(self._without_key(problem.message)) from None
        self._reached = True
        self._rate.answered()
        if self._troubled:
            self._troubled = False
            logger.warning("%s answers again", self._url)
        return reply

    async def _post(self, prompt: Prompt, fields: Mapping[str, Any]) -> bytes:
        """Return the body of a successful reply, from the chat interface or, for a plain prompt, the text one."""
        if isinstance(prompt, str):
            text = self._client.completions.with_raw_response
            return (await text.create(model=self._model, prompt=prompt, extra_body=fields)).content
        messages = cast(Any, [{"role": message.role, "content": message.content} for message in prompt])
        chat = self._client.chat.completions.with_raw_response
        return (await chat.create(model=self._model, messages=messages, extra_body=fields)).content

    def _slow_down(self, refusal: Refusal, started: float) -> None:
        """Allow fewer requests in flight if the server complains of too many; warn once."""
        if refusal.crowded and self._rate.refused(started) and not self._warned_crowded:
            self._warned_crowded = True
            words = (
                "%s accepts fewer requests at once (status %d): sending at most %d for now, more again as it answers"
            )
            logger.warning(words, self._url, refusal.status, self._rate.limit)

    def _refused(self, problem: openai.APIStatusError, fields: Mapping[str, Any], started: float) -> Refusal:
        """Return the refusal if it is about the request or its length; otherwise raise what it means."""
        refusal = read_refusal(problem.status_code, self._without_key(problem.response.text), fields)
        refusal = replace(refusal, message=self._without_key(refusal.message))
        self._slow_down(refusal, started)
        if refusal.ending or refusal.too_long or (refusal.refuses and refusal.status not in OVERLOADED):
            return refusal
        if refusal.transient:
            wait = retry_after(problem.response.headers)
            if wait is not None:
                self._not_before = max(self._not_before, time.monotonic() + min(wait, self._limits.give_up_seconds))
            raise self._transient(refusal, wait)
        raise EndpointError(f"{self._url}: status {refusal.status}: {refusal.message}. {self._advice(refusal)}")

    def _raise_unfixable(self, refusal: Refusal) -> None:
        """Raise what a refusal means that has no remedy."""
        if refusal.transient:
            raise self._transient(refusal)
        advice = " Lower sampling.sample_tokens and sampling.refine_tokens" if refusal.new_tokens else ""
        raise EndpointError(f"{self._url} refuses the request (status {refusal.status}): {refusal.message}.{advice}")

    def _transient(self, refusal: Refusal, wait: float | None = None) -> _Transient:
        may_pass = refusal.status in OVERLOADED | TRANSIENT or (refusal.crowded and self._rate.limit > 1)
        cause = f"status {refusal.status}: {refusal.message}"
        return _Transient(cause, wait, suspect=not may_pass, advice=refusal.advice)

    def _without_key(self, text: str) -> str:
        """Return a server's text with the key removed: some servers repeat it in errors."""
        escaped = self._key.replace("/", "\\/") if self._key else ""
        return text.replace(self._key, "[key]").replace(escaped, "[key]") if self._key else text

    def _read(self, body: bytes) -> Reply:
        try:
            return read_reply(body)
        except UnusableReply:
            # Remove the key before the body is cut to an excerpt, or half of it could remain.
            return read_reply(self._without_key(body.decode("utf-8", "replace")).encode())

    def _advice(self, refusal: Refusal) -> str:
        if refusal.status in (401, 403):
            name = self._key_name
            return f"Check the key in ${name}" if name else "Name the variable that holds the key in lm.api_key_env"
        if refusal.status == 404:
            return f"Check that lm.base_url ends in /v1 and that the server knows lm.model = {self._model!r}"
        return "Check the server's log"

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return the seconds until the next attempt: what the server asked for, or twice the last wait."""
        problem = state.outcome.exception() if state.outcome else None
        if isinstance(problem, _Transient) and problem.wait is not None:
            return max(problem.wait, self._limits.backoff_seconds)
        # The exponent is capped because a huge integer does not convert to a float.
        return min(MAX_WAIT_SECONDS, self._limits.backoff_seconds * 2 ** min(state.attempt_number - 1, 16))

    def _notice(self, state: tenacity.RetryCallState) -> None:
        """Count a retry, and warn now and then that the endpoint does not answer."""
        self._counts["retried"] += 1
        now = time.monotonic()
        if now >= self._next_notice:
            self._troubled, self._next_notice = True, now + NOTICE_SECONDS
            problem = state.outcome.exception() if state.outcome else None
            logger.warning("%s: %s; trying again for up to %g s", self._url, problem, self._patience())


def _comparable(problem: object) -> str:
    """Return an error's words without numbers and identifiers, which change each time."""
    return re.sub(r"[\w-]*\d[\w-]*", "#", str(problem))
