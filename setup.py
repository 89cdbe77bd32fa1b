"""The compiled part of dp-sim: operators of the compiled path. All else about the package is in pyproject.toml."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = Path("dp_sim/compiled/kernels")
#: Clang leaves out constructors that nothing but functions for several processors (target_clones) calls: it takes them
#: for other names of ones that it has not made either, and the library cannot be loaded. This has it make each.
FLAGS_OF_CLANG = ["-Xclang", "-mno-constructor-aliases"]


class BuildKernels(build_ext):
    """Compiles with the flags that the compiler at hand needs, as many files at a time as there are processors."""

    def build_extension(self, ext):
        """Compile, with what Clang needs where it is the compiler."""
        compiler = getattr(self.compiler, "compiler_so_cxx", None) or self.compiler.compiler_so
        version = subprocess.run([*compiler, "--version"], capture_output=True, text=True)
        if "clang" in version.stdout:
            ext.extra_compile_args += FLAGS_OF_CLANG
        compile_all = self.compiler.compile

        def compile_side_by_side(sources, **options):
            with ThreadPoolExecutor(os.cpu_count()) as threads:
                objects = list(threads.map(lambda source: compile_all([source], **options), sources))
            return [file for of_one in objects for file in of_one]

        self.compiler.compile = compile_side_by_side
        try:
            super().build_extension(ext)
        finally:
            self.compiler.compile = compile_all


setup(
    cmdclass={"build_ext": BuildKernels},
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
