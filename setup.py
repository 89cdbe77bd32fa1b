"""The compiled part of dp-sim: operators of the compiled path. All else about the package is in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

KERNELS = Path("dp_sim/compiled/kernels")

setup(
    ext_modules=[
        Extension(
            "dp_sim.compiled._kernels",
            sources=sorted(map(str, KERNELS.rglob("*.cpp"))),
            depends=sorted(str(path) for suffix in ("*.h", "*.inc") for path in KERNELS.rglob(suffix)),
            include_dirs=[str(KERNELS)],
            language="c++",
            extra_compile_args=["-std=c++17", "-O3", "-fno-math-errno", "-fopenmp-simd", "-Wno-psabi"],
            extra_link_args=["-ldl"],
            optional=True,  # without a compiler the installation goes on without it
            py_limited_api=True,  # it calls nothing of Python, so one build serves every version
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
