"""PlatformIO's build script of the platform `tinyctl`: the compiler on the path, nothing but the project's sources."""

from SCons.Script import AlwaysBuild, Builder, Default, DefaultEnvironment

PREFIX = "arm-none-eabi-"

env = DefaultEnvironment()
env.Replace(
    AR=PREFIX + "gcc-ar",
    AS=PREFIX + "gcc",
    CC=PREFIX + "gcc",
    CXX=PREFIX + "g++",
    LINK="$CC",
    OBJCOPY=PREFIX + "objcopy",
    RANLIB=PREFIX + "gcc-ranlib",
    SIZETOOL=PREFIX + "size",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
    SIZEPROGREGEXP=r"^(?:\.vectors|\.tinyctl|\.unit|\.text|\.data)\s+(\d+).*",
    SIZEDATAREGEXP=r"^(?:\.data|\.bss)\s+(\d+).*",
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPRINTCMD="$SIZETOOL -A -x $SOURCES",
)
env.Append(BUILDERS={"Flat": Builder(action="$OBJCOPY -O binary $SOURCES $TARGET", suffix=".bin")})

program = env.BuildProgram()
flat = env.Flat("$BUILD_DIR/firmware", program)
AlwaysBuild(env.Alias("size", program, env.VerboseAction("$SIZEPRINTCMD", "The size of $SOURCE")))
env.AddPlatformTarget("upload", flat, env.VerboseAction("$UPLOADCMD", "Uploading $SOURCE"), "Upload")
Default([program, flat])
