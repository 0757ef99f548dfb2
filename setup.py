"""What pyproject.toml cannot say: the media worker's fast path is compiled where there is a C compiler."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "cordboard.media._fastpath",
            sources=["src/cordboard/media/_fastpath.c"],
            extra_compile_args=["-O2"],
            # Without a compiler the same is done in Python.
            optional=True,
        )
    ]
)
