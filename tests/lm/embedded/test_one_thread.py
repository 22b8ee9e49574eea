import asyncio

from threadpoolctl import ThreadpoolController, threadpool_limits

from soar.lm.embedded.engine import Embedded
from soar.lm.embedded.one_thread import one_thread


def threads() -> set[int]:
    """How many threads matrix products take, of each library that computes them."""
    return {found["num_threads"] for found in ThreadpoolController().info() if found["user_api"] == "blas"}


def test_matrix_products_have_one_thread_until_the_last_holder_leaves():
    with threadpool_limits(2, user_api="blas"):
        first, second = one_thread(), one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == {1}
        second.__exit__(None, None, None)
        assert threads() == {2}


def test_an_open_model_holds_matrix_products_to_one_thread():
    with threadpool_limits(2, user_api="blas"):
        models = [Embedded(threads=2) for _ in range(2)]
        asyncio.run(models[0].close())
        assert threads() == {1}
        asyncio.run(models[1].close())
        assert threads() == {2}
