"""An executor of your own: the local sandbox, with a limit on how many programs run at once.

soar run demo runs/mine --set executor.kind=soar.examples.my_executor:Gentle --set executor.at_once=4
"""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import asdict

from soar.execution import open_sandbox
from soar.settings import Positive, Section


class Gentle:
    class Settings(Section):
        at_once: Positive = 8

    def __init__(self, settings):
        self.at_once = settings.at_once

    @asynccontextmanager
    async def open(self, contract):
        async with open_sandbox(**asdict(contract)) as sandbox:
            yield Turns(sandbox, asyncio.Semaphore(self.at_once))


class Turns:
    def __init__(self, inner, turns):
        self.inner, self.turns = inner, turns

    async def run(self, code, inputs, *, alone=False):
        async with self.turns:
            return await self.inner.run(code, inputs, alone=alone)

    async def close(self):
        await self.inner.close()
